"""The 3-D ablative margin of liver metastases, from the CT before and after ablation."""
