"""Pre- and post-ablation CT with exact truth: a digital phantom, and pairs made from a real CT."""
