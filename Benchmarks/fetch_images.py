"""img2dataset on a table of addresses, as its README shows: TABLE.csv FOLDER PROCESSES

`dvae prepare` makes the same of the same table: shards of JPEGs with sides of 256 at most.
"""

import os
import sys

# One of its libraries asks the network for updates of itself at each start.
os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"

from img2dataset import download  # noqa: E402

if __name__ == "__main__":
    table, folder, processes = sys.argv[1:]
    download(
        url_list=table, input_format="csv", url_col="url", caption_col="caption",
        output_folder=folder, output_format="webdataset", image_size=256,
        resize_mode="keep_ratio_largest", resize_only_if_bigger=True, encode_quality=90,
        processes_count=int(processes), thread_count=64, enable_wandb=False)
