"""How fast is orchestrald next to what is physically there, and next to what one would use instead?"""
