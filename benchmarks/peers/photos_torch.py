"""PyTorch's page on class folders of photos: a `Dataset` that decodes with Pillow, a `DataLoader` with two workers.

Without torchvision: `Resize` and `PILToTensor` there are Pillow's `resize` and this copy.
"""

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from benchmarks.peers._passes import arguments, take_turns


class Photos(Dataset):
    """The photos of class folders, each with the number of its class."""

    def __init__(self, folder):
        classes = sorted(path for path in folder.iterdir() if path.is_dir())
        self.files = [(file, number) for number, one in enumerate(classes) for file in sorted(one.iterdir())]

    def __len__(self):
        return len(self.files)

    def __getitem__(self, index):
        file, label = self.files[index]
        with Image.open(file) as image:
            pixels = image.convert("RGB").resize((224, 224), Image.Resampling.BILINEAR)
        return torch.from_numpy(np.array(pixels)).permute(2, 0, 1).float(), label


if __name__ == "__main__":
    given = arguments(__doc__)
    batches = DataLoader(
        Photos(given.data), batch_size=given.batch_size, shuffle=True, num_workers=2, persistent_workers=True
    )
    take_turns(given.passes, lambda: batches)
