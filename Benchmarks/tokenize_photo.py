"""The shortest script that turns a photo into tokens: RUNTIME FOLDER PHOTO OUT.npy THREADS

From the start of the process to the file, as a user of that runtime would write it. The first run
converts the network that lies in the folder; later ones find the file.
"""

import sys

import numpy

import photos
import runtimes

name, folder, photo, output, threads = sys.argv[1:]
runtime = runtimes.RUNTIMES[name](folder, int(threads))
network = runtime.convert("encode", 1)
tokens = runtime.load("encode", network, photos.load(photo)[None])()
numpy.save(output, tokens.astype(numpy.uint16))
