"""Front doors: other ways in than the library and the API. See `submission` for mail."""
