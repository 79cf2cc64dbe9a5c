"""Do neighbours' values help a ridge regression, and is anything left in its errors that they could explain?"""
