"""One image, read as the examples of a split are."""

from kerasrun.reading.images import as_array, fit, read_bytes, read_image


def decode_image(file, image_format):
    content, path = (file, None) if isinstance(file, bytes) else (read_bytes(file), file)
    return as_array(fit(read_image(content, image_format.color_mode, path, image_format.scaled_for), image_format))
