"""Where each point of the liver before ablation lies after it, and how well that is known."""
