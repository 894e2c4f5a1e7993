"""Tokens of a folder of photos with PyTorch and its DataLoader: ENCODER.pkl FOLDER OUT.npy THREADS"""

import pathlib
import sys

import numpy
import torch
from torch.utils.data import DataLoader, Dataset

import photos


class Photos(Dataset):
    def __init__(self, folder):
        self.paths = sorted(pathlib.Path(folder).iterdir())

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, index):
        return photos.load(self.paths[index])


if __name__ == "__main__":
    encoder, folder, output, threads = sys.argv[1:]
    torch.set_num_threads(int(threads))
    model = torch.load(encoder, weights_only=False).eval()
    loader = DataLoader(Photos(folder), batch_size=8, num_workers=int(threads))
    with torch.inference_mode():
        tokens = torch.cat([model(x).argmax(1) for x in loader])
    numpy.save(output, tokens.numpy().astype(numpy.uint16))
