"""List a folder, read every file and hash it: what a start-up that knows its data cannot do without. FOLDER"""

import hashlib
import sys
from pathlib import Path

for path in sorted(Path(sys.argv[1]).rglob("*")):
    if path.is_file():
        hashlib.sha256(path.read_bytes())
