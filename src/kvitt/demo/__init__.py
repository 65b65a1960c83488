"""The demo: the whole hub on made-up cases, judged by what is known of them from their making."""
