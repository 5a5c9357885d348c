"""Tables that name images and may have captions: their rows, and the meaning of their columns.

The reader of CSV, TSV and JSON Lines for `capgen caption --manifest`, data sets and reviews.

- **Names.** `.csv`, `.tsv`, `.jsonl`, `.ndjson` in any letter case, and `captions.txt` (Kaggle's
  Flickr8k). A byte order mark is not part of the first column.
- **Delimiter.** A tab in `.tsv`; without a header, what follows the first image's name; else the
  one of comma, tab, semicolon and bar that is most frequent outside quotes in the first line.
- **Quotes** join lines up to the line that begins the next row. A row with misplaced quotes is
  read without quoting if the delimiter is a tab or a bar.
- **Lists** of captions in one cell may be written as by JSON or by pandas.
- **Header.** Column names are compared without surrounding blanks and, unless the user gives
  one, in any letter case. A table whose first cell names an image has no header: its columns
  are image, caption and split. So has one whose second cell of two is an address: they are
  caption and image.
- **Image column.** Among the known names (`path`, `image`, `file`, `file_name`, …, `url`), the
  first whose cell in the first row holds or names an image, else the first.
- **Rows** are numbered by their first line. An unreadable row has a `fault` and does not end the
  table.
- **Strictness** is the caller's choice. A data set must not guess a caption, so a misplaced
  quote or a missing cell is a fault; captioning needs only one cell.
- **Mended rows.** Only Flickr30k's own table has faults that are put right, and said.
- **Encoding** is the caller's choice: a data set reports text that is not UTF-8, and captioning
  keeps the bytes, which may be in a file's name.
"""
