"""Tables that name images and may have captions: rows, and which of their columns mean what.

The one reader of CSV, TSV and JSON Lines, for `capgen caption --manifest` and for data sets.
What follows was decided where the two readers before it differed:

- **Names.** `.csv`, `.tsv`, `.jsonl`, `.ndjson` in any letter case, and `captions.txt` (a table
  in spite of its name: the Flickr8k of Kaggle). A byte order mark is no part of the first column.
- **Delimiter.** A tab in `.tsv`; without a header, what follows the name of the first image; else
  whichever of comma, tab, semicolon and bar the first line has most of outside quotes.
- **Quotes** join lines, but not beyond the line that begins the next row. Where they are not in
  order, a row with tabs or bars is read without them.
- **Lists** of captions in one cell may be JSON's or those that pandas writes.
- **Header.** Names of columns are compared without the blanks around them and, unless the user
  asks for one, in any letter case. A table whose first cell names an image has no header: its
  columns are image, caption and split.
- **Column of images.** Among the known names, the first whose cell in the first row holds or
  names an image, else the first: `path`, `image`, `file`, `file_name`, …, at last `url`.
- **Rows** are counted by the line they begin on. What cannot be read is a row with a `fault`,
  not the end of the table.
- **Strictness** is the caller's. A data set must not guess what a caption was, so a quote in the
  wrong place or a missing cell is a fault there; captioning needs one cell only, and takes it.
- **Encoding** is the caller's too, since lines come in as text: a data set reports what is not
  UTF-8, and captioning keeps the bytes, which a file's name may have.
"""
