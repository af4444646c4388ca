import pytest

from kerasrun.callbacks import build_callbacks
from kerasrun.components import Component

SAMPLE = {"filename": "log.csv"}


@pytest.mark.tensorflow
def test_its_folder_is_made_and_its_table_goes_on(tmp_path):
    def rows(epoch):
        (adapter,) = build_callbacks([Component("CSVLogger", {"filename": "logs/log.csv"})], tmp_path)
        for folder in adapter.folders():
            folder.mkdir(exist_ok=True)
        adapter.keep_files(begun=epoch > 0)
        adapter.callback.on_train_begin()
        adapter.callback.on_epoch_end(epoch, {"loss": 0.5})
        adapter.flush()
        adapter.close()
        return [row.split(",")[0] for row in adapter.outputs()[0].read_text().splitlines()]

    assert rows(0) == ["epoch", "0"]
    assert rows(1) == ["epoch", "0", "1"]
