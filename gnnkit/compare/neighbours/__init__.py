"""Do neighbours' values help a ridge regression, and is anything left in its errors that they could explain?"""

import gnnkit.compare.findings  # noqa: F401 - whole before a file here asks for one of its words: it shows what is found
