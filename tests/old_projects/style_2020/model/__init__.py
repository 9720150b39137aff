from .metric import *
from .model import *
