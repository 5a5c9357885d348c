"""Captions from a server that speaks the OpenAI chat protocol.

```
runtime ─► requests: messages, settings ─► client: retries, pace ─► http: one exchange
        ◄─ answers: text, tokens, usage ◄─
```
"""
