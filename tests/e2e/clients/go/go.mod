module anchorline.dev/tests/client

go 1.26.0
