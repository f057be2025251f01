"""What WebShop costs: `python -m benchmarks.webshop`."""
