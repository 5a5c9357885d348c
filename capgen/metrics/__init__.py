"""Caption metrics, equal to the official COCO scorers and in need of no Java.

`score` computes them, `bootstrap` puts intervals around them and compares two systems.

    score      captions in, a stamped report out
    bootstrap  intervals, paired comparison
    corpus     captions tokenized and counted once
    tokenizer  PTB tokens (ptb_rules, ptb_characters; lexer and patterns run the rules)
    bleu, rouge, cider, meteor (synonyms), language
    official   METEOR 1.5 and SPICE through pycocoevalcap and Java, where present
"""
