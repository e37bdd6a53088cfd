"""Published labelled sets, read as their authors lay them out: a folder enters, scenes with truth leave."""
