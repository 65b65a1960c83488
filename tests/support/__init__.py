"""What tests share: messages as senders write them, models to compare with, stages, and processes to kill."""
