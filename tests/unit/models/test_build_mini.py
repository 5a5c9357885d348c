"""New small captioners: what their tokens mean."""

from __future__ import annotations

from tests.tiny_models import tiny_mini


def test_the_special_tokens_are_those_of_the_tokenizer() -> None:
    made = tiny_mini(["a dog runs"])
    tokenizer = made.tokenizer
    pad, start, end = tokenizer.pad_token_id, tokenizer.bos_token_id, tokenizer.eos_token_id
    assert len({pad, start, end}) == 3
    for config in (made.model.generation_config, made.model.decoder.config):
        found = (config.pad_token_id, config.bos_token_id, config.eos_token_id)
        assert found == (pad, start, end)
    assert made.model.generation_config.decoder_start_token_id == start
    assert made.model.decoder.config.vocab_size == len(tokenizer)
