"""Reading tables safely: what a file is, its encoding and records, workbooks, columns of text."""
