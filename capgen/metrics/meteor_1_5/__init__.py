"""METEOR 1.5 for English without Java, with the counts of its own program.

There is one exception: the program compares 32-bit hashes of words, and so takes some words for one
another (`-b` and the Hebrew letter vav). Here only equal words are equal.

Denkowski and Lavie, "Meteor Universal: language specific translation evaluation for any target
language" (WMT 2014), with the matchers and the alignment of "Meteor 1.3: automatic metric for
reliable optimization and evaluation of machine translation systems" (WMT 2011). What the papers
leave open was learnt by asking the program: the statistics and alignments that it prints.

resources    what the extra `coco` brings: the program's word lists and paraphrases
normalize    tokens of a sentence
words        the words of a corpus: stems, synonyms and function words
paraphrases  the paraphrase table, kept in a compact cache
matches      what may be aligned with what
ranks        the order of partial alignments, in numbers
align        the beam search for the best alignment
statistics   counts of an alignment, and scores of counts
score        captions against references
"""
