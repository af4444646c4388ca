"""Examples → batches: order, decoding, augmentation."""
