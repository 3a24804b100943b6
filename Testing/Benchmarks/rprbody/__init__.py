"""The benchmark on CTs of the whole body: landmarks and organ boxes, from one reference."""
