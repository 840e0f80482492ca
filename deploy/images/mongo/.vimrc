" Pasted text stays as it is; keys of terminals work.
set nocompatible paste
