"""The game ``assist``: a user with a latent preference brings several questions to an assistant.

``rules`` compiles the game into tables, ``population`` holds the default types, ``scenario`` plays it.
"""
