"""Self-critical sequence training: sampling, words of tokens, CIDEr-D reward, loss."""
