"""Who listened to what."""
