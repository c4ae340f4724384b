"""What the end-to-end tests share: servers that count, jobs as processes, tables as a second engine reads them."""
