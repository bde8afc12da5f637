# a comment
@problemName Two
@timeStamps false
@classLabel true a b
@data
1.0,2.0,3.0:4,5,6:a
0.5,1.5:1,2:b
