"""Liver, tumor and ablation zone from an image: one file per method, all behind :mod:`ablmargin.segmentation.protocol`."""
