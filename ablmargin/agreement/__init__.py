"""Agreement of readers, programs or versions over the same lesions. It knows tables of results and nothing of images."""
