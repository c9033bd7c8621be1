"""Vision and audio towers around a text model."""
