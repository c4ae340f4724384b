"""A llama-server that is not one: it copies the real one's HTTP, slots and limits, and fails as it is told to.

`pool.FakePool` starts it for a test. What it copies is checked against the real embedded server in
`tests/unit/pool/test_fake_conformance.py`; what it can be told to do is in `faults`.
"""
