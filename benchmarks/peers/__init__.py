"""What kerasrun is measured against: scripts of a page, as tutorials and practitioners write them."""
