"""What TensorFlow refuses for determinism's sake comes with what to do; what it refuses otherwise is left as it is."""

import pytest

from kerasrun.errors import DeviceError

pytestmark = pytest.mark.tensorflow


def refused(message):
    import tensorflow as tf

    return tf.errors.UnimplementedError(None, None, message)


def test_a_missing_deterministic_kernel_is_an_error_that_says_how_to_do_without():
    from kerasrun.pipeline.augmentation import missing_kernels_explained

    reason = "A deterministic GPU implementation of AdjustContrastv2 is not currently available."
    with pytest.raises(DeviceError, match=f"{reason} Set deterministic: false"), missing_kernels_explained():
        raise refused(reason)


def test_another_missing_kernel_stays_what_it_is():
    import tensorflow as tf

    from kerasrun.pipeline.augmentation import missing_kernels_explained

    with pytest.raises(tf.errors.UnimplementedError), missing_kernels_explained():
        raise refused("The Conv2D op currently only supports the NHWC tensor format on the CPU.")


@pytest.mark.parametrize(
    "place", ["keras.layers.RandomContrast.transform_images", "keras.Model.compute_loss", "keras.Model.train_step"]
)
def test_a_missing_kernel_is_explained_wherever_it_is_missed(tmp_path, monkeypatch, place):
    import numpy as np

    import kerasrun
    from kerasrun.engine import devices

    devices.start()

    def missing(*given, **named):
        raise refused("Determinism is not yet supported in GPU implementation of Bincount.")

    monkeypatch.setattr(place, missing)
    x, y = np.zeros((8, 6, 6), np.uint8), np.arange(8) % 2
    np.savez(tmp_path / "a.npz", x_train=x, y_train=y)
    file = tmp_path / "a.yaml"
    file.write_text(
        "data: {npz: {path: a.npz}}\nmodel: {MLP: {units: [2]}}\naugmentation: [{RandomContrast: {factor: 0.1}}]\n"
    )
    with pytest.raises(DeviceError, match="Set deterministic: false"):
        kerasrun.train(file, output=tmp_path / "runs")
