"""The console bench: contenders, clients of every door, and what is measured. `scripts/bench console` runs it."""
