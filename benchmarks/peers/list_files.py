"""List a folder with the size and the time of every file: what a start-up cannot do without. FOLDER"""

import os
import sys


def list_folder(folder: str) -> None:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                list_folder(entry.path)
            else:
                entry.stat()


list_folder(sys.argv[1])
