"""Answers for any number of pictures, in a file: from files to a table, in bounded memory."""
