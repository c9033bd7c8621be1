"""How true: measured points, fitting of calibration factors, and validation against measurements."""
