"""CSVLogger: a row for each epoch, in a table that goes on after a resume."""

from pathlib import Path

from kerasrun.callbacks.base import Adapter


class CSVLogger(Adapter):
    name = "CSVLogger"
    state = ("keys",)
    file = "filename"

    def folders(self) -> list[Path]:
        return [*super().folders(), Path(self.callback.filename).parent]

    def keep_files(self, *, begun: bool) -> None:
        super().keep_files(begun=begun)
        self.callback.append = True

    def outputs(self) -> list[Path]:
        return [*super().outputs(), Path(self.callback.filename)]

    def flush(self) -> None:
        super().flush()
        if self.callback.csv_file:
            self.callback.csv_file.flush()

    def close(self) -> None:
        super().close()
        if self.callback.csv_file:
            self.callback.csv_file.close()
