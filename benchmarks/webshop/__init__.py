"""Time and memory of WebShop: `python -m benchmarks.webshop`."""
