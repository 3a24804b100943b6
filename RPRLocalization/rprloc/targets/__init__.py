"""What is sought: landmarks, boxes and masks, and the files that hold them."""
