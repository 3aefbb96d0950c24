"""How far ahead should an exchange of a list fetch?"""
