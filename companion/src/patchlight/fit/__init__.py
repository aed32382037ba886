"""`patchlight fit`: a head from a folder of pictures. A model answers questions about them, its answers are labelled, and a
head is trained on the labels while they are made."""
