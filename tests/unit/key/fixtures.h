// Throw-away keys and what OpenSSH 9.2 and OpenSSL 3.0 make of them; written by
// make_fixtures.
#pragma once

#define FIXTURE_PASSPHRASE "correct horse"
#define FIXTURE_DATA "what is signed"

struct fixture {
    const char *name, *passphrase, *text, *public_line, *sha256, *md5, *art;
};

static const struct fixture fixtures[] = {
    {
        "ed25519",
        NULL,
        "-----BEGIN OPENSSH PRIVATE KEY-----\n"
        "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW\n"
        "QyNTUxOQAAACAM9ICCi9ziyJ3OmrQL8TsKLXXQF7xVDwFHSzu84q67TQAAAJi6ler0upXq\n"
        "9AAAAAtzc2gtZWQyNTUxOQAAACAM9ICCi9ziyJ3OmrQL8TsKLXXQF7xVDwFHSzu84q67TQ\n"
        "AAAED8//i9YuCTWsdA4Okja5/wBDdCd0Liap61GRSMuIfz8wz0gIKL3OLInc6atAvxOwot\n"
        "ddAXvFUPAUdLO7zirrtNAAAAEmNvbW1lbnQgb2YgZWQyNTUxOQECAw==\n"
        "-----END OPENSSH PRIVATE KEY-----\n",
        "ssh-ed25519 "
        "AAAAC3NzaC1lZDI1NTE5AAAAIAz0gIKL3OLInc6atAvxOwotddAXvFUPAUdLO7zirrtN comment of "
        "ed25519",
        "SHA256:eFkh+jLSyP4/RkP1kMIZNsfVf8ySEJD4FkJkxZMXDdQ",
        "MD5:04:f4:55:0c:fb:01:73:5a:a2:d6:94:97:af:bd:6a:17",
        "+--[ED25519 256]--+\n"
        "|       +OB=B*B   |\n"
        "|       +*+@.o E  |\n"
        "|      .  =.* . = |\n"
        "|   . o o.oo . o =|\n"
        "|    + =.S.     ..|\n"
        "|   . . +o        |\n"
        "|    .  . .       |\n"
        "|     .  o        |\n"
        "|      .o..       |\n"
        "+----[SHA256]-----+",
    },
    {
        "ecdsa256",
        NULL,
        "-----BEGIN OPENSSH PRIVATE KEY-----\n"
        "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAaAAAABNlY2RzYS\n"
        "1zaGEyLW5pc3RwMjU2AAAACG5pc3RwMjU2AAAAQQRDhoUDlxdVbJTbX2ihStxt0W1dzvmh\n"
        "4CF2UMK3J7UOqpRnmRbcIOJBlGlzTmJ7giTJ2P8FMRfzuq/2d8YxfOaDAAAAsHcndyN3J3\n"
        "cjAAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBEOGhQOXF1VslNtf\n"
        "aKFK3G3RbV3O+aHgIXZQwrcntQ6qlGeZFtwg4kGUaXNOYnuCJMnY/wUxF/O6r/Z3xjF85o\n"
        "MAAAAhAJDMNR4Wh3HG6vYahaSrQ8RIFfKp3o8jFgP+sSidSxwyAAAAE2NvbW1lbnQgb2Yg\n"
        "ZWNkc2EyNTYBAgME\n"
        "-----END OPENSSH PRIVATE KEY-----\n",
        "ecdsa-sha2-nistp256 "
        "AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBEOGhQOXF1VslNtfaKFK3G3RbV3O"
        "+aHgIXZQwrcntQ6qlGeZFtwg4kGUaXNOYnuCJMnY/wUxF/O6r/Z3xjF85oM= comment of "
        "ecdsa256",
        "SHA256:os67+BCZeh75OEtHXqTLavs+jJwyZ4EPqa8nTgNLjOQ",
        "MD5:8c:62:20:5f:65:fd:5b:13:a1:4e:5d:90:af:af:56:4c",
        "+---[ECDSA 256]---+\n"
        "|                 |\n"
        "|                 |\n"
        "| .    .          |\n"
        "|=  o o           |\n"
        "|oE+ o o S        |\n"
        "|*o.* + .         |\n"
        "|+**=*            |\n"
        "|*+%@o            |\n"
        "|o%OBX+           |\n"
        "+----[SHA256]-----+",
    },
    {
        "ecdsa384",
        NULL,
        "-----BEGIN OPENSSH PRIVATE KEY-----\n"
        "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAiAAAABNlY2RzYS\n"
        "1zaGEyLW5pc3RwMzg0AAAACG5pc3RwMzg0AAAAYQR/TAYvbAo6GvYTz6jxKf3sMylSGLh2\n"
        "JWSmAP9UqoGAT2tB/obA3JFI4YPDb3EzAQM5a/MbxXOC+RIHqUboQILjYPfFrmXIdDMA53\n"
        "iPbL58jLD7Z4kO+xNTH1usAfgJB+YAAADghs7hO4bO4TsAAAATZWNkc2Etc2hhMi1uaXN0\n"
        "cDM4NAAAAAhuaXN0cDM4NAAAAGEEf0wGL2wKOhr2E8+o8Sn97DMpUhi4diVkpgD/VKqBgE\n"
        "9rQf6GwNyRSOGDw29xMwEDOWvzG8VzgvkSB6lG6ECC42D3xa5lyHQzAOd4j2y+fIyw+2eJ\n"
        "DvsTUx9brAH4CQfmAAAAMQDNYwWnVCzip4PMjG9V8FHyTFMNKisdxiF/3uHYCMEBbsm85M\n"
        "0pFMXDY38ed0Vu9y0AAAATY29tbWVudCBvZiBlY2RzYTM4NAECAwQ=\n"
        "-----END OPENSSH PRIVATE KEY-----\n",
        "ecdsa-sha2-nistp384 "
        "AAAAE2VjZHNhLXNoYTItbmlzdHAzODQAAAAIbmlzdHAzODQAAABhBH9MBi9sCjoa9hPPqPEp/"
        "ewzKVIYuHYlZKYA/"
        "1SqgYBPa0H+"
        "hsDckUjhg8NvcTMBAzlr8xvFc4L5EgepRuhAguNg98WuZch0MwDneI9svnyMsPtniQ77E1MfW6wB+"
        "AkH5g== comment of ecdsa384",
        "SHA256:AWu8FHEt6UeNrw5RC/n4GtF/6oZHjrQ8i7z6Mb6bPmQ",
        "MD5:f7:3e:f5:7c:2e:27:cc:10:80:98:35:f9:0a:33:9c:58",
        "+---[ECDSA 384]---+\n"
        "|      +..+ o     |\n"
        "|     . == = .    |\n"
        "|      =..O o     |\n"
        "|     o .=.= .    |\n"
        "|      . S= o     |\n"
        "|        E + o .  |\n"
        "|       ooB * o   |\n"
        "|       oo=B =    |\n"
        "|      .+@=.*.    |\n"
        "+----[SHA256]-----+",
    },
    {
        "ecdsa521",
        NULL,
        "-----BEGIN OPENSSH PRIVATE KEY-----\n"
        "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAArAAAABNlY2RzYS\n"
        "1zaGEyLW5pc3RwNTIxAAAACG5pc3RwNTIxAAAAhQQAKNcTXb3l0ViYr51/t6xnTWfWw5Gd\n"
        "eqpdtneH6h3sgChLH8PyHzZ4I73NthQ0kZC8s9/Mpo33mvf3sTGTDot0sZkBZKPoo6qN1E\n"
        "lYtYKF8s4fMtGfB5zbMGokJiAYRhuRFd70Vi4767uXbgCnGPUvRutLJ2j+tEm2y41iqzTj\n"
        "XI7AmksAAAEYt5zd6rec3eoAAAATZWNkc2Etc2hhMi1uaXN0cDUyMQAAAAhuaXN0cDUyMQ\n"
        "AAAIUEACjXE1295dFYmK+df7esZ01n1sORnXqqXbZ3h+od7IAoSx/D8h82eCO9zbYUNJGQ\n"
        "vLPfzKaN95r397Exkw6LdLGZAWSj6KOqjdRJWLWChfLOHzLRnwec2zBqJCYgGEYbkRXe9F\n"
        "YuO+u7l24Apxj1L0brSydo/rRJtsuNYqs041yOwJpLAAAAQgESYqCS2w/4gpCqLXadmwCL\n"
        "BqKyaImvDk3XkLvKImNyqTR5m2WUBEve0fknYJVOKf4U7UusNMnQlCmh4TR3REgFWwAAAB\n"
        "Njb21tZW50IG9mIGVjZHNhNTIxAQIDBAUGBw==\n"
        "-----END OPENSSH PRIVATE KEY-----\n",
        "ecdsa-sha2-nistp521 "
        "AAAAE2VjZHNhLXNoYTItbmlzdHA1MjEAAAAIbmlzdHA1MjEAAACFBAAo1xNdveXRWJivnX+"
        "3rGdNZ9bDkZ16ql22d4fqHeyAKEsfw/IfNngjvc22FDSRkLyz38ymjfea9/"
        "exMZMOi3SxmQFko+"
        "ijqo3USVi1goXyzh8y0Z8HnNswaiQmIBhGG5EV3vRWLjvru5duAKcY9S9G60snaP60SbbLjWKrNONcjs"
        "CaSw== comment of ecdsa521",
        "SHA256:GBSasgFp41GdOwTmGapkJ9ymaK9Lp9aIinZx9G8DsqA",
        "MD5:5b:d3:22:e6:d3:91:f8:5a:92:b0:49:48:23:fd:e3:8b",
        "+---[ECDSA 521]---+\n"
        "|...=o +.         |\n"
        "|o== oB           |\n"
        "|o*=*+ o          |\n"
        "|=.=+ + o         |\n"
        "|oo. . + S        |\n"
        "|. .o o o         |\n"
        "|..+o+ o o        |\n"
        "|+E+o .   +       |\n"
        "|*+o     . .      |\n"
        "+----[SHA256]-----+",
    },
    {
        "rsa2048",
        NULL,
        "-----BEGIN OPENSSH PRIVATE KEY-----\n"
        "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAABFwAAAAdzc2gtcn\n"
        "NhAAAAAwEAAQAAAQEAtUp1kWrrc+OCLU5UZ+cJwnzwSXeXymrr/Ul3UpybnVz6nDS7mD/H\n"
        "2OE7HqaDFegqLIrFYDbf5RAp5UrS2ys/HIZt3vevgxBRsZhBSFYp1M951/VDsu7l9PUgIU\n"
        "JyZL6eyRNnfpMckFWSH65wjVETw7QfTzxFDSdIPpomrYWxAJ8/NR8PcIVPs63DYxuPczZS\n"
        "X6wnsF3NUjUTKPT77ucW+x8AIKxZBEaLXwOYF7nOd//CUj26J6YnPdrigQgvLIWfIBthUT\n"
        "QdJYT74McZdQgjgKqTWBmZXFIrS5xdTLnJ9pbv7C0Y8EHnO6yF6FF9DjrSzgVDnkin5Xv9\n"
        "RZhZKUxWLQAAA8g0YANrNGADawAAAAdzc2gtcnNhAAABAQC1SnWRautz44ItTlRn5wnCfP\n"
        "BJd5fKauv9SXdSnJudXPqcNLuYP8fY4TsepoMV6CosisVgNt/lECnlStLbKz8chm3e96+D\n"
        "EFGxmEFIVinUz3nX9UOy7uX09SAhQnJkvp7JE2d+kxyQVZIfrnCNURPDtB9PPEUNJ0g+mi\n"
        "athbEAnz81Hw9whU+zrcNjG49zNlJfrCewXc1SNRMo9Pvu5xb7HwAgrFkERotfA5gXuc53\n"
        "/8JSPbonpic92uKBCC8shZ8gG2FRNB0lhPvgxxl1CCOAqpNYGZlcUitLnF1Mucn2lu/sLR\n"
        "jwQec7rIXoUX0OOtLOBUOeSKfle/1FmFkpTFYtAAAAAwEAAQAAAQAhUCcl+1Z8U2Zgomfm\n"
        "tuEHfNNfwKrjHn4yay1SwCXlRwhjK1p8ed3kl9C4C2ODo0eaqz5lNXgzfKKiOHtiHEKK4J\n"
        "XwdqWpCRbl8kMuwmyJ5z0txqszxmv5tRB8JBxmsFN3wgnOy8QgLqU9Dp4ujaM6306wjfPn\n"
        "XJxNKqDoWmyB3zFd8k/bP3heq3TONEBi/9FZT6ZJgoysgr7rJNNEjoniYX/HhtRqSLv6ZI\n"
        "B/pMxRWYYLkl9uWgiOX/kjG6cUVQJOlXIcBDjaojdkFLL8ERZh9XlIaZtg07YBp2/QrMxk\n"
        "wZYGntHSLnSzbwyeoH4M1R5KlqeOhbRHQCNOk6B+vVyZAAAAgQDqyRquYlCDtt0aliaUmv\n"
        "I7Cc6IIf6P6sPvT9yZWldoKat4vx/tZr5pAVXLBae2NSlIY1TwYPwR5y3c6r870Rohcq2v\n"
        "8zPpYcYfjEMV8trpTxJFy6YjVPMty8SxHV1H7ZzQ159hyRsV4LbKePK6sGhkwu9ZEb7Iao\n"
        "6/TsUoganIkgAAAIEA+gE4Pw6eY0/2bqjfO7BDOKA7FOwzzz3OfsL2pse02XeBfyBFJElj\n"
        "HwlWPtG75lUy7tC2489A3zR4X/I3YGSd9uC24LPWZg1QTWXUt7Knl32km++rSN2u/Q5fFZ\n"
        "p4kVEIK+dFYUfjOWpki10dN5Xq5S9DCAVS6KYHjZSyvBCzlsUAAACBALmjZ5H2qT9NRDi4\n"
        "9YAP9ijamodjLKP2TTiKlVEO5yYotwPTXHzx688dtixF9X1VqC+F1UccsyDyJPFBT0Et0p\n"
        "aFqjO0nAo5uOMr6hhnfnkv7X/FxoAwAO99WSOI5Uvv061GQnZJBK6d9GXhWoKRa0+ImUxW\n"
        "5B49Cd7modqAYnhJAAAAEmNvbW1lbnQgb2YgcnNhMjA0OA==\n"
        "-----END OPENSSH PRIVATE KEY-----\n",
        "ssh-rsa "
        "AAAAB3NzaC1yc2EAAAADAQABAAABAQC1SnWRautz44ItTlRn5wnCfPBJd5fKauv9SXdSnJudXPqcNLuY"
        "P8fY4TsepoMV6CosisVgNt/"
        "lECnlStLbKz8chm3e96+DEFGxmEFIVinUz3nX9UOy7uX09SAhQnJkvp7JE2d+"
        "kxyQVZIfrnCNURPDtB9PPEUNJ0g+miathbEAnz81Hw9whU+"
        "zrcNjG49zNlJfrCewXc1SNRMo9Pvu5xb7HwAgrFkERotfA5gXuc53/"
        "8JSPbonpic92uKBCC8shZ8gG2FRNB0lhPvgxxl1CCOAqpNYGZlcUitLnF1Mucn2lu/"
        "sLRjwQec7rIXoUX0OOtLOBUOeSKfle/1FmFkpTFYt comment of rsa2048",
        "SHA256:6DhE+zc3tvpiFQ0kI82/tVZESDZTxVW/JJ80PMbJyUY",
        "MD5:1c:ed:89:09:f9:db:75:01:e3:50:af:74:9c:f2:4b:00",
        "+---[RSA 2048]----+\n"
        "|      .oo...=+oE*|\n"
        "|       .oo...oB =|\n"
        "|    .    . o o #.|\n"
        "|   . . .  o o O =|\n"
        "|    o . S  + o + |\n"
        "|   . +    o o    |\n"
        "|    o o o.+.     |\n"
        "|     . .o+ o     |\n"
        "|       ..+o      |\n"
        "+----[SHA256]-----+",
    },
    {
        "rsa1024",
        NULL,
        "-----BEGIN OPENSSH PRIVATE KEY-----\n"
        "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAlwAAAAdzc2gtcn\n"
        "NhAAAAAwEAAQAAAIEAqfBGNrvw71vsrvT/OWyhFOzVURqv86SBYj13rKLtvoQ64tEGrZpX\n"
        "4khklruWlPxsmewRachxYILKD4rlGpPXnC4AI23nhUsnXQhWn8ajkWdzt/fnaDibvWcHx9\n"
        "Tulj2HgJwbl+hMWMLoLigglNwBPQDPCUIKIeE3PyXu5eGusMUAAAIIeHnUenh51HoAAAAH\n"
        "c3NoLXJzYQAAAIEAqfBGNrvw71vsrvT/OWyhFOzVURqv86SBYj13rKLtvoQ64tEGrZpX4k\n"
        "hklruWlPxsmewRachxYILKD4rlGpPXnC4AI23nhUsnXQhWn8ajkWdzt/fnaDibvWcHx9Tu\n"
        "lj2HgJwbl+hMWMLoLigglNwBPQDPCUIKIeE3PyXu5eGusMUAAAADAQABAAAAgEPjRdl1yT\n"
        "GF8o6ONyt0lwEp/6nP1HyrujhJv/ZKfFmAr5mO0XEm2HcAXpbMx8Iq+SOgZ/Bvb8OTXC9L\n"
        "WGz+pMILpB0P0Jwx7bXffT1DSZE3Wr9GK8qCNZcrhB9suKsd4zrFczh+qzCUjn+HU+U3ET\n"
        "Oqp0QsxaG2GfQRGyTKycrhAAAAQAOLehBobPwRham/Y8heXrz68u5kfHtsqpXVkOE0+RzV\n"
        "ixl9qgFN4pI8vdRlqAxdHqNHJVx9CrFpPL9wrFUoGDUAAABBAN8Py2N7EHupmJ8S70LSM7\n"
        "7ZRGDvMeUX9lVE576pIktmTWR8Ww1ZcSduMmntL64tkfFuPTEcyqmCeYK8m1nHAykAAABB\n"
        "AMMIUBoDXIG3oshL59CJ0I/G8gfqY55JaxX+BgcJQDbdwRIxDI14bAjN8mqYEKhaFxH4T2\n"
        "osbxao1NKAMbH5cD0AAAASY29tbWVudCBvZiByc2ExMDI0AQ==\n"
        "-----END OPENSSH PRIVATE KEY-----\n",
        "ssh-rsa "
        "AAAAB3NzaC1yc2EAAAADAQABAAAAgQCp8EY2u/DvW+yu9P85bKEU7NVRGq/"
        "zpIFiPXesou2+hDri0QatmlfiSGSWu5aU/"
        "GyZ7BFpyHFggsoPiuUak9ecLgAjbeeFSyddCFafxqORZ3O39+"
        "doOJu9ZwfH1O6WPYeAnBuX6ExYwuguKCCU3AE9AM8JQgoh4Tc/Je7l4a6wxQ== comment of "
        "rsa1024",
        "SHA256:wdEoGuA3eFY5Ci1KbVC2zlTGfKnV3mPIiQdthx2pLHE",
        "MD5:78:5c:42:c1:2b:56:69:84:0f:5e:83:b4:f9:53:b7:2f",
        "+---[RSA 1024]----+\n"
        "| .==oo..=oo.o    |\n"
        "| o++*++B.E.+     |\n"
        "|..+==++o% *      |\n"
        "|. ++oo o X +     |\n"
        "|   o    S . .    |\n"
        "|                 |\n"
        "|                 |\n"
        "|                 |\n"
        "|                 |\n"
        "+----[SHA256]-----+",
    },
    {
        "ed25519-aes128-ctr",
        "correct horse",
        "-----BEGIN OPENSSH PRIVATE KEY-----\n"
        "b3BlbnNzaC1rZXktdjEAAAAACmFlczEyOC1jdHIAAAAGYmNyeXB0AAAAGAAAABAIXbkKK9\n"
        "ZejIyXIo5XpQSUAAAAAgAAAAEAAAAzAAAAC3NzaC1lZDI1NTE5AAAAINzeomy07YXYU3X6\n"
        "V1sZ9wPox8I9VzDOZxzO7rNWGZuTAAAAoF7dFBAuvzgs5Q5OW4oSRSMSZFfmwrGm78D0t4\n"
        "YwCqNjgHfLpobFbyb+hJpaJGSi2B2+rrkvWbfqg51id0tr9YJBRrE5qmv1QNMh5AHMrjw4\n"
        "hkJowUqHZzHjBPj1kJoDNUk8G4Kak4x2IUJTsxC2TYIdAllff42HQBHlUAONk0SCgIdrUH\n"
        "P+pxDzYs4cHfDWgJKqwPsnL0jTlgpvyOD3jfc=\n"
        "-----END OPENSSH PRIVATE KEY-----\n",
        "ssh-ed25519 "
        "AAAAC3NzaC1lZDI1NTE5AAAAINzeomy07YXYU3X6V1sZ9wPox8I9VzDOZxzO7rNWGZuT comment of "
        "ed25519-aes128-ctr",
        "SHA256:xJX+gw/PHQWGtuPNC+vpetEG4N/B1x8nDKW0SdtBNFQ",
        "MD5:c5:42:54:81:65:e4:8d:bf:37:45:f5:7f:58:be:ed:61",
        "+--[ED25519 256]--+\n"
        "|          ..o*B.E|\n"
        "|       . .oo+*oo |\n"
        "|        oo o=*...|\n"
        "|       .  o + =.=|\n"
        "|        S  = B =+|\n"
        "|          o B B .|\n"
        "|           = B o |\n"
        "|            *.o  |\n"
        "|          .=+    |\n"
        "+----[SHA256]-----+",
    },
    {
        "ed25519-aes192-ctr",
        "correct horse",
        "-----BEGIN OPENSSH PRIVATE KEY-----\n"
        "b3BlbnNzaC1rZXktdjEAAAAACmFlczE5Mi1jdHIAAAAGYmNyeXB0AAAAGAAAABAAJa1MRV\n"
        "HlGU4xdCVVfqkSAAAAAgAAAAEAAAAzAAAAC3NzaC1lZDI1NTE5AAAAIHy6/lPdI7kR6Pm5\n"
        "TwJseLgcRmplemskBa4Lk/q0zL3KAAAAoOHxPHKGrNonN8SxHa1+nB0v59jKsem7oqkPGB\n"
        "eru9NB8IbeRwYu1+ZFkXe/ohtTe6/PjVkr8+SHBjpSMiU6lqQpQttLw9lonyLz7l77GGjL\n"
        "Wv4MKRnHvCLitMNSvSBwpvXeWxeg1Da4B8me4ksuYuGLtOjfBtQsPoMQ4VDPKC1FX2ST0Y\n"
        "NKYncWzYe1i8l1DQekh86hEY9/tnP5dnuszus=\n"
        "-----END OPENSSH PRIVATE KEY-----\n",
        "ssh-ed25519 "
        "AAAAC3NzaC1lZDI1NTE5AAAAIHy6/lPdI7kR6Pm5TwJseLgcRmplemskBa4Lk/q0zL3K comment of "
        "ed25519-aes192-ctr",
        "SHA256:X8t3ihtD+6hUt+ITDI3Pn3gsZpKyrL5Wj61M1JFJ1v8",
        "MD5:91:33:bd:65:8b:96:47:71:bb:2c:ad:7b:07:87:11:0e",
        "+--[ED25519 256]--+\n"
        "|          o.     |\n"
        "|         o o.    |\n"
        "|          +o .   |\n"
        "|         .o.. .  |\n"
        "|        S .=+ .. |\n"
        "|       ... ==+ .E|\n"
        "|       ..+o.B=o..|\n"
        "|      .+o.=.*O=o |\n"
        "|     o+o=+.===o  |\n"
        "+----[SHA256]-----+",
    },
    {
        "ed25519-aes256-ctr",
        "correct horse",
        "-----BEGIN OPENSSH PRIVATE KEY-----\n"
        "b3BlbnNzaC1rZXktdjEAAAAACmFlczI1Ni1jdHIAAAAGYmNyeXB0AAAAGAAAABAh0/VGqP\n"
        "Usec9RRQJvc1YhAAAAAgAAAAEAAAAzAAAAC3NzaC1lZDI1NTE5AAAAICF/ePqgXJycuA3n\n"
        "4xPui9G+bxKa+kPSYOjuUSYrpOgSAAAAoFYvEQx6ICFXRF/M6Jzpqnc3EqiQvV+QpSj3bc\n"
        "68MbiAJEIQQLagMUH01xByELvercH+0T21ggVj07KLpTldKq6lmfvZgJBxqNWkok/krrmR\n"
        "tMZ9b124XJn514ThQrnGrzEKKOLT/QT2y24mmmEkUsN9cQ1SphmtMt92NNNjCm+erNTozl\n"
        "ZnP5PQgMIApjTTmgrV10J3DM7RVXQVpMYNe1c=\n"
        "-----END OPENSSH PRIVATE KEY-----\n",
        "ssh-ed25519 "
        "AAAAC3NzaC1lZDI1NTE5AAAAICF/ePqgXJycuA3n4xPui9G+bxKa+kPSYOjuUSYrpOgS comment of "
        "ed25519-aes256-ctr",
        "SHA256:uQakXe+BpgNNYasbErS5jh6n1EiXWCeB/gy67fCDLjI",
        "MD5:2b:c0:71:84:bc:2e:4d:94:9a:58:a7:f7:cf:26:d6:3b",
        "+--[ED25519 256]--+\n"
        "|  o.  o          |\n"
        "| o o.. o         |\n"
        "|. +o .+ .        |\n"
        "| ooo+B . +       |\n"
        "|.o*o= + S o      |\n"
        "|oo++ + + o .     |\n"
        "|oB.o. o o .      |\n"
        "|Eo*    o         |\n"
        "|+*o.             |\n"
        "+----[SHA256]-----+",
    },
    {
        "ed25519-aes128-gcm@openssh.com",
        "correct horse",
        "-----BEGIN OPENSSH PRIVATE KEY-----\n"
        "b3BlbnNzaC1rZXktdjEAAAAAFmFlczEyOC1nY21Ab3BlbnNzaC5jb20AAAAGYmNyeXB0AA\n"
        "AAGAAAABAx/35p3FvF1ws4P73UU3upAAAAAgAAAAEAAAAzAAAAC3NzaC1lZDI1NTE5AAAA\n"
        "IE0Bffwg2Gj8TgXgDCdkaylRNglMqhirwMyNFXIUCL2YAAAAsDeYLxlrAnXhjjikeB8HZL\n"
        "nbK9QhPE/9HTCT+4mz16ZAZVjAMYH7gHcceVFJuSIVb3XLEkyRfKJetUGYs4UK8Cm5qWi1\n"
        "IVQ7QTuMVELn4BS5yCZ6Z11E9vMa12Mlm7QipzF0iRPTMH0kCt88zZECh+tQWmLGdzhbPo\n"
        "o+Mai13tUItS3zvYgXJO4Xk79/endgb09EHj5zpIWArzq7sJsHyO1bZ+DodS3FxwxwKEDH\n"
        "dzvrobu4ZxtHRATogl0CsUW43Q==\n"
        "-----END OPENSSH PRIVATE KEY-----\n",
        "ssh-ed25519 "
        "AAAAC3NzaC1lZDI1NTE5AAAAIE0Bffwg2Gj8TgXgDCdkaylRNglMqhirwMyNFXIUCL2Y comment of "
        "ed25519-aes128-gcm@openssh.com",
        "SHA256:r5+k8YDzZuBdMg93XzcBK1N6EeMWCOusihHqf/nXtXw",
        "MD5:78:44:e8:7c:0f:98:f8:23:5c:0a:81:fd:00:23:e2:5f",
        "+--[ED25519 256]--+\n"
        "|         .. .+.  |\n"
        "|          ...+o  |\n"
        "|         .  oo+  |\n"
        "|        o  +.o . |\n"
        "|   .    So  +   .|\n"
        "|  . . ..=.o .. .o|\n"
        "| . . .++oB+.o...o|\n"
        "|.   oooo+O.o o.E |\n"
        "| ..o...+=.+   .  |\n"
        "+----[SHA256]-----+",
    },
    {
        "ed25519-aes256-gcm@openssh.com",
        "correct horse",
        "-----BEGIN OPENSSH PRIVATE KEY-----\n"
        "b3BlbnNzaC1rZXktdjEAAAAAFmFlczI1Ni1nY21Ab3BlbnNzaC5jb20AAAAGYmNyeXB0AA\n"
        "AAGAAAABC8w/eTlNf+cX94MMxdIQdSAAAAAgAAAAEAAAAzAAAAC3NzaC1lZDI1NTE5AAAA\n"
        "IHuw48l7OfFDdCBSy4mD1G8h12SJ659a0hZbJ8HfdKjIAAAAsN4STLsuTdiMGS0fUMnQNU\n"
        "bMm5J3qqE5cNLV/5w5G8Y8w9OBvkZoDBr3EAZ1LBE0qmJItxMy2CBUXxOFna3yXsnIS+mu\n"
        "x1akOyrnfEgSXddM4yDvrxnwgskmAfJF2yDnY3iFcEA41R14KkkiSzAliJLDsQM8Yo5ix0\n"
        "uEHAq06h7EZqItiV3NHA7+KGHfmHEnXsTtoE5h0Ylyz59GEP0IUR/k2mmTryoYLVLJ1VIF\n"
        "5232yJMG5OsiYBKHx/H6ONjIuA==\n"
        "-----END OPENSSH PRIVATE KEY-----\n",
        "ssh-ed25519 "
        "AAAAC3NzaC1lZDI1NTE5AAAAIHuw48l7OfFDdCBSy4mD1G8h12SJ659a0hZbJ8HfdKjI comment of "
        "ed25519-aes256-gcm@openssh.com",
        "SHA256:EzxMTIs4HRFHM7v4PnXAsWaBaOpzxqJ9gyPb6myqFYU",
        "MD5:63:b0:8d:49:bb:7d:36:e4:eb:ec:8c:36:0a:91:d3:c2",
        "+--[ED25519 256]--+\n"
        "|      +BB.       |\n"
        "|   . ooBo=o      |\n"
        "|  E +oo B. +     |\n"
        "|   ... . +*      |\n"
        "|  .. .. So .     |\n"
        "|   .+ +. .. .    |\n"
        "|  .o *  .. .     |\n"
        "| o+.+ o..        |\n"
        "|++=+.o ...       |\n"
        "+----[SHA256]-----+",
    },
    {
        "ed25519-chacha20-poly1305@openssh.com",
        "correct horse",
        "-----BEGIN OPENSSH PRIVATE KEY-----\n"
        "b3BlbnNzaC1rZXktdjEAAAAAHWNoYWNoYTIwLXBvbHkxMzA1QG9wZW5zc2guY29tAAAABm\n"
        "JjcnlwdAAAABgAAAAQ0PCeCkUnSbn6+QLJg4nAMgAAAAIAAAABAAAAMwAAAAtzc2gtZWQy\n"
        "NTUxOQAAACBu0xlXennWtevLMrrK91tZn7PtXAs4l42VNzM4wVxlVAAAALjPo7WxrLQ3pZ\n"
        "rgmM98qhEhjJifo2FFcVnXP7YtKA/n3IaMFno447p4ondNsz2HZXurbJrKvEbbPYS8dXwM\n"
        "mfzBQG/7p5mvJwoKryrZ0b+SP6YDXp1vJbrJkbdsnsxm4T4YQ4HkFg4UT3pCkXs/V1HNWz\n"
        "aMM7PQqXvUeRQD6adImb23XCzr0iluQli5ijLgyBTYp0PHWERDtjEQLBhyNknlquLYhZ7J\n"
        "M9OTv6dQl59gSK6R57O6xoFuuuizzs4zN6OqgmQfH92rWg==\n"
        "-----END OPENSSH PRIVATE KEY-----\n",
        "ssh-ed25519 "
        "AAAAC3NzaC1lZDI1NTE5AAAAIG7TGVd6eda168syusr3W1mfs+1cCziXjZU3MzjBXGVU comment of "
        "ed25519-chacha20-poly1305@openssh.com",
        "SHA256:E+Yx3SCDI7ct5Pk+dfBYb2VtV8XEKxCbUJooH0gEqCo",
        "MD5:8b:28:38:e6:3d:9a:cb:98:b1:4d:88:3c:06:31:46:0a",
        "+--[ED25519 256]--+\n"
        "|  ..oo .o.oo.  ++|\n"
        "| .  o * .+++o   +|\n"
        "|.    B B=o.oo   +|\n"
        "|.     Boo+. .. .*|\n"
        "|.      +S  = ..+.|\n"
        "|E       ..o o o  |\n"
        "|.      . . . .   |\n"
        "|        o        |\n"
        "|         .       |\n"
        "+----[SHA256]-----+",
    },
    {
        "ed25519-aes128-cbc",
        "correct horse",
        "-----BEGIN OPENSSH PRIVATE KEY-----\n"
        "b3BlbnNzaC1rZXktdjEAAAAACmFlczEyOC1jYmMAAAAGYmNyeXB0AAAAGAAAABCUOB72F8\n"
        "2qOX1BvdC7eWbnAAAAAgAAAAEAAAAzAAAAC3NzaC1lZDI1NTE5AAAAIPEfQ4sjKX80eSMK\n"
        "45lhtFfMd6aTHltjBUD9uYRH8LOmAAAAoOeXuZ4o5/U5X9VKlcEszJCQJL2nL+zUxOT0CI\n"
        "hB3iKf7tIuB+ou2ezyvG/uhINf2b+ql6VoZ0Rj/GV70y43f5NvmXszgwsQUqFIcjTN4nnr\n"
        "Vlq1oR7L/qKUpC/+l/4qgJStm0pzfwgTw5WhfGatl9GHGTzHhAWXecTJmzhRWpFPdj+evI\n"
        "y8T91LiUVipKuAffScXSNqK6juLv9X8apvDWI=\n"
        "-----END OPENSSH PRIVATE KEY-----\n",
        "ssh-ed25519 "
        "AAAAC3NzaC1lZDI1NTE5AAAAIPEfQ4sjKX80eSMK45lhtFfMd6aTHltjBUD9uYRH8LOm comment of "
        "ed25519-aes128-cbc",
        "SHA256:MFIAM92f4FVVBtwnfLpeqnd3dcTO3WBFveSQRUhNfQw",
        "MD5:48:90:29:85:59:d1:e9:8a:1c:30:90:3b:42:de:92:a9",
        "+--[ED25519 256]--+\n"
        "|  +o.o.  ..o+*EB+|\n"
        "|   o..o .   .=+oO|\n"
        "|    ..o+ .    +Bo|\n"
        "|     ..oo     +oo|\n"
        "|        S    . *o|\n"
        "|              . O|\n"
        "|             . oo|\n"
        "|              + +|\n"
        "|            .o .o|\n"
        "+----[SHA256]-----+",
    },
    {
        "ed25519-aes192-cbc",
        "correct horse",
        "-----BEGIN OPENSSH PRIVATE KEY-----\n"
        "b3BlbnNzaC1rZXktdjEAAAAACmFlczE5Mi1jYmMAAAAGYmNyeXB0AAAAGAAAABBhehRNva\n"
        "dIeZNy22IIj+MnAAAAAgAAAAEAAAAzAAAAC3NzaC1lZDI1NTE5AAAAIMlAC+QjQuKCTsda\n"
        "q0qPLdx4Vc5RpakcEXO2fHAjavMCAAAAoKB5RtqUaUzhVNvZ4cKbMWSCB8ysVBh5JTscAo\n"
        "RZaFBpX3wO8J/8h1Tt/uLTNJaVoz+srhMclqC3vMkT2R/IUpGlaAH7uR99IAArFI09TQP/\n"
        "bv3BHecH4deHoQWn92paP++NfYHUkEAfjg8ebsLUT8MY5osHDAU+wMqn7055yraQK0HHji\n"
        "ke4J3finT+PxVl7fLc+7Sd0UvuotWgHEmvyOU=\n"
        "-----END OPENSSH PRIVATE KEY-----\n",
        "ssh-ed25519 "
        "AAAAC3NzaC1lZDI1NTE5AAAAIMlAC+QjQuKCTsdaq0qPLdx4Vc5RpakcEXO2fHAjavMC comment of "
        "ed25519-aes192-cbc",
        "SHA256:cgKKcb/BASy5ECYkmNAu1ROU2czTwd/Ciqkq4Cj3q0U",
        "MD5:a2:3a:26:a5:8f:a3:f7:a7:79:41:ec:c9:b4:5f:ff:4a",
        "+--[ED25519 256]--+\n"
        "|OO.ooB o..       |\n"
        "|X +.= = o        |\n"
        "|o=. o. . o .     |\n"
        "|o+.+ o    + .    |\n"
        "|... E ooS. .     |\n"
        "|.  . oo+.        |\n"
        "|+   o.           |\n"
        "|+....            |\n"
        "|.oo+o.           |\n"
        "+----[SHA256]-----+",
    },
    {
        "ed25519-aes256-cbc",
        "correct horse",
        "-----BEGIN OPENSSH PRIVATE KEY-----\n"
        "b3BlbnNzaC1rZXktdjEAAAAACmFlczI1Ni1jYmMAAAAGYmNyeXB0AAAAGAAAABBagJaZPp\n"
        "/zbTvxoYpDavgTAAAAAgAAAAEAAAAzAAAAC3NzaC1lZDI1NTE5AAAAIM7fzNyflHUQFsxl\n"
        "G8KpoGruz4OC17Fz8VmpHZw00TvEAAAAoOpsbdeOGxney2uWK+tHVJ55xpiAJFm3wZ7JAI\n"
        "8iptIyeCeqS3KZl67M9U0S1fGbFlRNhF/zlb3BAhsHwYiD4BBwsGH3iIvUZuO0JiPjV+JH\n"
        "fcbWV7KYf1bQNEHg5M9wJfYmWDsg0tzZaP1nDzVX8496Z6smwYjNXGq70APSK3hBTy8kcS\n"
        "6euTyOKedx6JPFtBbDPH2FqN0qg7AoMyodCD4=\n"
        "-----END OPENSSH PRIVATE KEY-----\n",
        "ssh-ed25519 "
        "AAAAC3NzaC1lZDI1NTE5AAAAIM7fzNyflHUQFsxlG8KpoGruz4OC17Fz8VmpHZw00TvE comment of "
        "ed25519-aes256-cbc",
        "SHA256:lvjvAeSOhs8sJaUG+x0eDF4B+pU/yiEh8ilhu2xg1Nc",
        "MD5:b9:94:61:ff:0d:32:91:0b:8b:35:24:de:aa:0c:b3:9a",
        "+--[ED25519 256]--+\n"
        "|    ..           |\n"
        "|  ..  o.         |\n"
        "|ooo...oE.        |\n"
        "|o+o+ooo= .       |\n"
        "|ooo+o*o S        |\n"
        "|+.o =+=B o       |\n"
        "| + o.==oo .      |\n"
        "|.   o=o  . .     |\n"
        "|     .+  .o      |\n"
        "+----[SHA256]-----+",
    },
    {
        "ed25519-3des-cbc",
        "correct horse",
        "-----BEGIN OPENSSH PRIVATE KEY-----\n"
        "b3BlbnNzaC1rZXktdjEAAAAACDNkZXMtY2JjAAAABmJjcnlwdAAAABgAAAAQ3/RQ+anMdb\n"
        "vexI/W33NNOwAAAAIAAAABAAAAMwAAAAtzc2gtZWQyNTUxOQAAACBeNgGdYdaMpEyCZ1K0\n"
        "vbZXiVj5QKe9zkn/a0UIrfnZ4wAAAKC4hCxJF28Q6qDUVY4KuBC74oP4gXXrDKAtSGgPXO\n"
        "8PlRBO0K9K0RN40kUG1Epbm/uqrkc2osOqPuqtW/9WYM6mM4fW2Ibi0Mdk6aXJhY5HdUEp\n"
        "rlgESItgMWBt/WQ7kbnHcs2L68CibLCdefUSYpJ3bJuFDepOkakg6pTG22JSmIXZaWsQFD\n"
        "OOASh1D2tCRG0S50yb8XYsviall4tei7xY\n"
        "-----END OPENSSH PRIVATE KEY-----\n",
        "ssh-ed25519 "
        "AAAAC3NzaC1lZDI1NTE5AAAAIF42AZ1h1oykTIJnUrS9tleJWPlAp73OSf9rRQit+dnj comment of "
        "ed25519-3des-cbc",
        "SHA256:m6u53aQ0WC9C3nToa+/KNmrhut71j1lk1RQKNxUgelw",
        "MD5:7e:f2:fe:2e:a3:d7:c0:e4:0d:92:d4:f4:d2:5a:bf:07",
        "+--[ED25519 256]--+\n"
        "|           o Eo++|\n"
        "|          o = oo |\n"
        "|         . o .. .|\n"
        "|         ..  .   |\n"
        "|      . S . o    |\n"
        "|     o.* = o     |\n"
        "|     .+.X o .    |\n"
        "|     .oB+X +     |\n"
        "|   .++**B=B..    |\n"
        "+----[SHA256]-----+",
    },
    {
        "rsa-sealed",
        "correct horse",
        "-----BEGIN OPENSSH PRIVATE KEY-----\n"
        "b3BlbnNzaC1rZXktdjEAAAAACmFlczI1Ni1jdHIAAAAGYmNyeXB0AAAAGAAAABAj29WExT\n"
        "l3w7q9BGQWTXpyAAAAAQAAAAEAAACXAAAAB3NzaC1yc2EAAAADAQABAAAAgQC7+5K9d9lw\n"
        "CuPV+JsSJ+6UqgZN/lv3cG1CskAmpcj4+n44NdTdH0Fp/2tUWGXRaYVHv8lYZKiGzvWx49\n"
        "+YwVp1zyJlg6J0+buhmdWRIQVw+tTTiihXhkpDBOCeoeXs8tgwpA9SuEjwU1wT8UrDmmL0\n"
        "ifY36xWwIAhjpWqZaxSoIwAAAhA625as4KH2Bu5aHFm7RCr0CXM96VF4gQO95/eCTtNf4p\n"
        "Y7JaIvxITVvSR3yjj9rEfMDakO35R5ll24PZmquerkTFqyhGXevrfPiDH+szJ9rk+ar6HP\n"
        "370z3iEauI9ViBXlPWRUmqcmfj32HAx+0sZ7n2GPn1hSju07jLQLSsno0NDAlz0/KrU2Bj\n"
        "ZEV9SwJexhcpHohjiphVagG9s8XtkYP0Rf9KZwkxM7rdMzckMnNIE8Kp6v+Wu+40giS8UW\n"
        "l4qZNBfOJZ2IfhwI1RyKFh8SF0WuHmxfm+5EJfLpAca8BG40zFiV9C0LLGnJOZXYNkKV5y\n"
        "8J1zRhLSiEhLmGhY2t+khMtaPhQqCeLmPNwGKwthYdCLGlSfCXjXqK59afPwYl10drOxc+\n"
        "LguHFEykVzkRNCQgqTxul7fCerTaVP0s5FxfIgdK45GmXorBy6S0CEfXsjHSkrJFCtEiEC\n"
        "Sk7Hgpwkw64mU90eGjWxUl+b85MvpS0ohk91oQeDsgGyzTtLwxFTd8YS3V4Tzc8Taxp8ld\n"
        "he+JTFcdxteQN2pyKhf5FfOe2d1xKJEeYRbxNbtKjnKMNGrURxDfBc623QLacLCcrDwJ28\n"
        "rU8LtWVOjRag7WaH0pUtGRBzj+aD9RLaAoDnl+ct0rVjfVj8/xRd7PJGtnn3DMn+IFUrkR\n"
        "GbXXDEe+jx62v5CvpZu0TwYCoK9F0zY=\n"
        "-----END OPENSSH PRIVATE KEY-----\n",
        "ssh-rsa "
        "AAAAB3NzaC1yc2EAAAADAQABAAAAgQC7+5K9d9lwCuPV+JsSJ+6UqgZN/"
        "lv3cG1CskAmpcj4+n44NdTdH0Fp/"
        "2tUWGXRaYVHv8lYZKiGzvWx49+YwVp1zyJlg6J0+buhmdWRIQVw+"
        "tTTiihXhkpDBOCeoeXs8tgwpA9SuEjwU1wT8UrDmmL0ifY36xWwIAhjpWqZaxSoIw== comment of "
        "rsa-sealed",
        "SHA256:Zaoxqg7gHxWD9xp5AJhzKo7/LPOY2qyAjgdT0MvJkdA",
        "MD5:db:f7:ce:3c:0d:18:2b:4a:5b:86:91:81:c2:eb:28:be",
        "+---[RSA 1024]----+\n"
        "|.+oo             |\n"
        "|.+E.o            |\n"
        "| ++= =    o      |\n"
        "|..* . *  +       |\n"
        "|=.   +ooS        |\n"
        "|B.  ..++         |\n"
        "|+= ....          |\n"
        "|++*=.            |\n"
        "|+*B*+            |\n"
        "+----[SHA256]-----+",
    },
    {
        "rsa-pem",
        NULL,
        "-----BEGIN RSA PRIVATE KEY-----\n"
        "MIICXAIBAAKBgQC20yvbrJqV8pNgV3dZxZGRW5K2K7YpCJCBsf5RpjGsum4GMPfV\n"
        "zw6fKROlF37na9UVEynAEt08ZvifqHM4g4uYr47Jsim0Dfib8Top0N0JM7iF+aeF\n"
        "G8YI+3FdXs0tlIRGndM3bFihq/nAKLXYilNFeVmDA/W8IbZ0wU+eO0BBuwIDAQAB\n"
        "AoGABzSlet//q79GzbpEyvX9ecQpMSLh6BYdU+9G/cLWHF+wrG/LpNKnWeCNlKkr\n"
        "aEWYvV7m+1oC/Dl2vRwvhl+w5b+c+GNMcKnsOQy0lbDBHVlfiYwM8sMzIGw78LUn\n"
        "yoOhAqPc2soF5Ab0WA1Ucf1RSq3vHlMeX7mYOZeJxyczXyECQQDgcN3JNqg+6Np/\n"
        "2+s1nBf4VHOR94+npqnUGSsKG1KAbajh2WxkiHq8umsjSCiOQp3arPZe+DNArqfa\n"
        "Y5+geSirAkEA0IhEF0AoN6IkqJvAmscG/N0xEhtQH8qSQirPaPZ46xqnKYq5zC5N\n"
        "G2nZdsKxGSzmuvC2DH2ZiFUWXZ5SwDBrMQJBAJasjuhPTkH1lwJxRIWYBiuLno6m\n"
        "0QUvCSI/xzogv5FCjTcZ/P+89BERYW2tOrTOmiS9KyT0oYvR9RPS/83+qMMCQDrf\n"
        "HYoK3M/IAN1xC1Em+zwMHjxkZZx0DhKMD34shzqojaTWu1l/gNlKatByapkW6hTA\n"
        "vESOePfaPbQ0bFxBzyECQAu+DbnKHLe0NTYF52Y0xfnFVsvmurV6T81+YTBgTpC8\n"
        "348GBXyj4GGw0JyI/NixCZS5lr7vXa2TXN/zsaIc0o0=\n"
        "-----END RSA PRIVATE KEY-----\n",
        "ssh-rsa "
        "AAAAB3NzaC1yc2EAAAADAQABAAAAgQC20yvbrJqV8pNgV3dZxZGRW5K2K7YpCJCBsf5RpjGsum4GMPfV"
        "zw6fKROlF37na9UVEynAEt08ZvifqHM4g4uYr47Jsim0Dfib8Top0N0JM7iF+aeFG8YI+"
        "3FdXs0tlIRGndM3bFihq/nAKLXYilNFeVmDA/W8IbZ0wU+eO0BBuw== comment of rsa-pem",
        "SHA256:W4Wp1vqFYMeR5AYnFJ2auc7lB1cRmM71HRXw0oYfaz8",
        "MD5:12:f7:95:4b:cb:6f:dc:5e:70:ae:b9:dd:f2:63:f5:94",
        "+---[RSA 1024]----+\n"
        "|       .=oo. +oo+|\n"
        "|         *o+o *. |\n"
        "|         +Bo.+ Bo|\n"
        "|        += oo = =|\n"
        "|        S.=  . + |\n"
        "|       o.*o.. . .|\n"
        "|       ooo.o.  E.|\n"
        "|        o....   .|\n"
        "|          ..     |\n"
        "+----[SHA256]-----+",
    },
    {
        "rsa-pem-sealed",
        "correct horse",
        "-----BEGIN RSA PRIVATE KEY-----\n"
        "Proc-Type: 4,ENCRYPTED\n"
        "DEK-Info: AES-128-CBC,F876F644C61E90371AF3C9DA28DA1AB3\n"
        "\n"
        "Vyu+eInxUoP0eW5x5my7NgOCScq8fbrj5xjJ3y1V3SVBWFwbtnM6GB9KtxlhfE4E\n"
        "6ysyAVqwHG146+XHZsFFAdVGvIsbrvkKvs+2PnfjuJWiBCazkVyEJmLrX9cAV7Ze\n"
        "m+i06CxpeiQX7Z82pCZcC0NH0OsSJwe7oHJyJWe2W2C7ktPAq5RGbZva1HZ7GyIx\n"
        "3+mzSwY7dfiV8ocOvBhH1BxFUsv8j1FDRxiJ7uvlJqWoPp+GUQp4TqBLkStmUAVQ\n"
        "uPRkslMpY2ES4maJGgrPFC7mwT8O+/w+EJPAvFITNSR/8IDufXMTCkMjRNr5jBLh\n"
        "XoPuAS9IOAxXpS/bQgZAscE8A2GoUAv5++Gm55NESLuxRQF5+zt6MTDXN+s3CxPy\n"
        "INDeWKDm3XIdi6qo4psCupl59Ffp5/P6llxmz8wZHKPNMmOhFklWFnAJxZ3r7sN0\n"
        "Z4cep3G8FypcDhkzSqle82AArlZK8ooQJD8xT/RrclkJGFyli3gIUIS01WruUbve\n"
        "QkEzpzkzm3attW2v6O0GHiIJ/LC/6qw5L+GG2+z5cqprU/Plk/QOkyCJg64hcb8Z\n"
        "O/NpmHt+EPOKMUWogQuQ0P2kWJTHxmK/0OeS7MBPM4ra8BeuvB/ZDN7znu5hgv1U\n"
        "6afzt7TRQVCVH7cTp25YYrabxdY8NSBXk5fLs0hZUWXp6Ck3cSgIkv5iY53+ksbS\n"
        "MDeMj5C0HCd7W+dqDXvzP0EVeyO10dKfXdUQvMJVt4Lrd4wY9oLx4wPp8/i4MOas\n"
        "gBfxdZfP3/e0qaykWWxApvkm3El/+VSNRPYZfhQ7QWg=\n"
        "-----END RSA PRIVATE KEY-----\n",
        "ssh-rsa "
        "AAAAB3NzaC1yc2EAAAADAQABAAAAgQC+wtSshrF/"
        "dhcjKOQmR5wUnS8uRMjBbvLJi6l7JUdxbsqSvXLcombQZ58WcYXr6oUVvrH3fHOCNiqONJrR4oZ95SLS"
        "f1jl1aTsRzvsns8nkLQL/"
        "CpPlJSiIlxO2ErnaEWzl6kJEHYcN44I5f6tWH7YWThju4jjfPKQalgnR9NnqQ== comment of "
        "rsa-pem-sealed",
        "SHA256:LVr+0GW6OT9BcpA6uyrdZcDe8FqHw8IT9Df+0Nrsyl4",
        "MD5:f6:7e:fd:af:30:bc:ee:80:24:a3:63:9e:69:f7:ac:36",
        "+---[RSA 1024]----+\n"
        "|           .     |\n"
        "|        . o      |\n"
        "|       o o .     |\n"
        "|        B.o =    |\n"
        "|       oSX.Boo   |\n"
        "|       +*oX+= .  |\n"
        "|     ...oOoo BE  |\n"
        "|    . . +o.+o.+  |\n"
        "|     ...  ++=+.  |\n"
        "+----[SHA256]-----+",
    },
    {
        "rsa-pkcs8",
        NULL,
        "-----BEGIN PRIVATE KEY-----\n"
        "MIICdwIBADANBgkqhkiG9w0BAQEFAASCAmEwggJdAgEAAoGBAO6JaHPLdmvhEgLh\n"
        "VdQeVcOFOAOu22uk/U9joOFFKezLdW59qw9NX5cDcIHQYuMFU5lnODlzbluBxTy2\n"
        "PsCsNyEpnAY+5pbTJ0WRKTt8z8f6VoUc/5IjIys9cNf07FMOaQ+EppjmgkPbktlK\n"
        "GxlS/Yzq/i+4FUxjqY2N8tmeFCs5AgMBAAECgYA0BrhHeTsM8HwTML6dkzg1etrq\n"
        "wrqM0eGF7T7ro0Avq3ijbrlejwuoTlG9novS5BiFvuOedDS/tKAmS8GIGIe1QhuM\n"
        "nTZ/5gSRP0gwaKP1aasHI25rmKW4SzJMMMS9O55XBGadP07kpRFRT5qGHTdW6EBs\n"
        "i3HSg7f47kRrwJ4UYQJBAP7BLnGRc2kfbq71s6rd7q8KmxKe5k2oMZEEQR6mfNGP\n"
        "WNfvZi1sOQAI25nqrfEOLfpK8NNPCpUAcnbSbw7+5wUCQQDvs+4s6gTZ4r5r+N07\n"
        "7V7Vut4j7LS72JcCzz8PkSD8a1fZEQDUBQd0mGIuNEHWP/Y/eoeSvelzD+U2xEDG\n"
        "bUGlAkEAvCLQeMCQ+c5jwEPlxscVcSGk+jBtJmaTDGSW7trHDUAOvZGn5N2qjrL7\n"
        "8oRUptPw8ooLphIWX4mv/r5TlEB9PQJBAOZkDAYRfE4sWRiQX5ws/9zwOnlPFzwB\n"
        "5sulhRgiRxE2333ckO44Uz0nBh8gzTLv0XCcBdjuPocAfTCRmyzdcJ0CQHK7GdVi\n"
        "Rf8I8TVNtdEunU1PUT6srpn2U0217fPx/iOAs+L8qmqLtjUkLDf9TfLf1mCWHbkc\n"
        "4J5AOInSomdGftk=\n"
        "-----END PRIVATE KEY-----\n",
        "ssh-rsa "
        "AAAAB3NzaC1yc2EAAAADAQABAAAAgQDuiWhzy3Zr4RIC4VXUHlXDhTgDrttrpP1PY6DhRSnsy3VufasP"
        "TV+XA3CB0GLjBVOZZzg5c25bgcU8tj7ArDchKZwGPuaW0ydFkSk7fM/"
        "H+laFHP+SIyMrPXDX9OxTDmkPhKaY5oJD25LZShsZUv2M6v4vuBVMY6mNjfLZnhQrOQ== comment "
        "of rsa-pkcs8",
        "SHA256:EoIy5Zsllrcu4qkgFmQrOhFZkq8k0PQ7ZaiQQP1x0cc",
        "MD5:e0:0d:28:f2:24:66:4c:19:dc:2f:25:1c:df:9d:f2:e9",
        "+---[RSA 1024]----+\n"
        "|+==    .o .      |\n"
        "|+B.= o . . E     |\n"
        "|O+* B *   .      |\n"
        "|+BoB B .         |\n"
        "|=++ + . S        |\n"
        "|+... . .         |\n"
        "|*.. .            |\n"
        "|=o..             |\n"
        "|oo               |\n"
        "+----[SHA256]-----+",
    },
    {
        "rsa-pkcs8-sealed",
        "correct horse",
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
        "MIIC3TBXBgkqhkiG9w0BBQ0wSjApBgkqhkiG9w0BBQwwHAQIJUcl9Kjne1wCAggA\n"
        "MAwGCCqGSIb3DQIJBQAwHQYJYIZIAWUDBAECBBBKZVv9ykJ6qRmz9pz35n0QBIIC\n"
        "gIs00gyjHXF2tqq1lF0+6pzgWQc3kxdXe9bMPV/sY4hhpAVoOnDJsCIPVtH2lebS\n"
        "YVe4emIt/rdENgt1nwcZu6Wi7I7ZJlQnvO3RMZkLPgZafHJQ/5I6dZjxEnPA3+I0\n"
        "aZV+Q/L16m3OCpU5oYmkTvkqdXjABfH3t9afylMVQ/FGNI2JEEvJpkW0w3xwhFqW\n"
        "EZODH0wpY+CMy7qjwsskNIygQ944aUvp+L5PL/eQcCc0nkhNUqZuay4IyyAGnHjx\n"
        "3oPDYYHhiwGdTvBa+5/IiT0I83Dq4NwVA95k5LhTYnXv9mmp+rT3E+cFU8T15kz1\n"
        "B9ihfMStTcI1PxGQPnNIe49kIBjJqKtybYtaSu7vFTflD3jyL7b0/ChTOEE97iJR\n"
        "eLS74kQoWEhDnYKvCCBqXn3/q7TdQVu2k9ZSy3jn74uG9OK4M4kRj9MGqBK70RBN\n"
        "a+hE37gxqguwYPgnhniDHSpBoqbvKTqDDUGs35WmOsSILDjvfBmhYPA1ySre3VMs\n"
        "Zk6fjKWMXbcFaZ/e9MeaT1Gfg9NLZWebv/ug+2qeDt7C8UnK45TvrMzZucha0iKr\n"
        "k+dzvNPynXNQWKhI65UuqVHYdew/cwMol+ha0JQYCmsv5dEd6QsTTqec0x8Ucrbk\n"
        "g1PGxJGJ2f6LOQxmuIXZuGqLefDEISw/pAKZf8gtnXKx0Z+hfm03o/e6wVYSyQi8\n"
        "SQaJnDdF6pt9oKZvXRWmhiQX2WN3SnrdmHqS9dOQE+bfrx0fqGPAU9tPLXZh3/Wm\n"
        "ooP5it2kYCkCbyZW1Rkkq/6LjFRejeab1Hua14PiKxjI+NqOeO4v9OnswO+kX7Wf\n"
        "gwn2aUvoMo6zcDnLJFoFxT4=\n"
        "-----END ENCRYPTED PRIVATE KEY-----\n",
        "ssh-rsa "
        "AAAAB3NzaC1yc2EAAAADAQABAAAAgQCweZtxXhJB5+ZA6/"
        "ifk2mT6gYdprKkj95Fy5KvwVOEiF36NMPVHaPvoZ7/RJ/EJKZI1SLRSMmYSAfWLrG9e9TL/"
        "SvKXUvmJZ4NfkA1fQsrdKrNp/"
        "r+qNfkvsqQC17FpFh16snT5AZOx192dBA0i+Hhl51p1KN3jnQJpCm1pWTGww== comment of "
        "rsa-pkcs8-sealed",
        "SHA256:jmpeDp92GRtv6Wk4/04nJ0QRq9946PXh4pDDD1S9KTY",
        "MD5:6a:04:bd:ea:16:2a:75:59:66:de:19:e9:c4:00:83:2b",
        "+---[RSA 1024]----+\n"
        "|            o.   |\n"
        "|             o.  |\n"
        "|            o. . |\n"
        "|           o.   o|\n"
        "|        S ...E o |\n"
        "|       oo ooo+o  |\n"
        "|    . o .B BB *. |\n"
        "|    .*..* =+=O...|\n"
        "|   oo.+. *+o=o...|\n"
        "+----[SHA256]-----+",
    },
    {
        "ecdsa-pem",
        NULL,
        "-----BEGIN EC PRIVATE KEY-----\n"
        "MHcCAQEEIHOZQbKRKmtwVs/1mT7qawRtclYfmx1tHGqMnLk6KfWjoAoGCCqGSM49\n"
        "AwEHoUQDQgAELTW5XvaQvrt1CWc+flGp5YT1HXDqybox3SWL3QyUI83pLenQhtA1\n"
        "q6iVI2dtorXoptt36iVTKNIzuakY1PA9Kw==\n"
        "-----END EC PRIVATE KEY-----\n",
        "ecdsa-sha2-nistp256 "
        "AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBC01uV72kL67dQlnPn5RqeWE9R1w"
        "6sm6Md0li90MlCPN6S3p0IbQNauolSNnbaK16Kbbd+olUyjSM7mpGNTwPSs= comment of "
        "ecdsa-pem",
        "SHA256:Z1ChyZ9fgFsmzLjGKoPm7i6AvP3M8KV3e41kF8VzP5c",
        "MD5:34:fd:d1:0c:7f:84:37:c5:70:6d:31:21:13:29:40:7e",
        "+---[ECDSA 256]---+\n"
        "|          o.  .  |\n"
        "|       . B .   +.|\n"
        "|        * = + . =|\n"
        "|       . + * o Eo|\n"
        "|o       S *   o o|\n"
        "|o. .   o o + o   |\n"
        "|. =.o ..  o =    |\n"
        "|.+ .=oo. . o .   |\n"
        "| == .*. ..o      |\n"
        "+----[SHA256]-----+",
    },
    {
        "ecdsa-pem-sealed",
        "correct horse",
        "-----BEGIN EC PRIVATE KEY-----\n"
        "Proc-Type: 4,ENCRYPTED\n"
        "DEK-Info: AES-128-CBC,FB2F2A020A024B6415A4CA0F3D0BDC6D\n"
        "\n"
        "j+D2gkHs/MwVPN1tYcJj5d4wDE8f2hSRK9ipcGc5b41eL71KT3NKFQ/WGELVNxX6\n"
        "J7A7d1gFjtx7qKGODm9rWkYNjdCZguMt18sukec2ioNSBdpxOYqF96Sg8voRoVXJ\n"
        "UiSQ7LJYIhzCMl0BLSASJBc0FwQrWAi2IaUco0Pxg0E+vRfinRAkFCqNwftSKHdr\n"
        "lw/KX9ZYue7xDBiiwAtURm3GkANb/r7sDw6EtSmTPZw=\n"
        "-----END EC PRIVATE KEY-----\n",
        "ecdsa-sha2-nistp384 "
        "AAAAE2VjZHNhLXNoYTItbmlzdHAzODQAAAAIbmlzdHAzODQAAABhBF67GWYtD/"
        "bzdb0vtfKHGSIS1mIHZ36qkFcZaHshj33blFyg9hXpKnfS2T5s5SVmHHTH6CW2SEHomUjc9GjX0gdmJt"
        "lBSTzvTxqaL1In58d7mppHkohagxzjC4KFfO2URg== comment of ecdsa-pem-sealed",
        "SHA256:MvWPNlsUp6ZPe0BZd7mhS6JxWawrsXX8cy9yhFEoiNI",
        "MD5:e2:0c:37:f1:fb:01:93:cf:d6:63:82:4b:e2:12:c9:51",
        "+---[ECDSA 384]---+\n"
        "|     . . .  ..  .|\n"
        "|    . E . . .oooo|\n"
        "|     .  .  .*+o.+|\n"
        "|       . + *+O . |\n"
        "|      o S O.Ooo  |\n"
        "|       o + Bo..o.|\n"
        "|          * +o  +|\n"
        "|         . *..+ .|\n"
        "|          . o+ . |\n"
        "+----[SHA256]-----+",
    },
    {
        "ecdsa-pkcs8",
        NULL,
        "-----BEGIN PRIVATE KEY-----\n"
        "MIHuAgEAMBAGByqGSM49AgEGBSuBBAAjBIHWMIHTAgEBBEIAfqWUS7fe745cjBUM\n"
        "zh4ZzSFAaaVuKQlos1sI/fAgO/X6GxSrghzvwPOJuWpnP9u3QaWHWOzdg1m2TZ2Y\n"
        "8SDGg0OhgYkDgYYABAACqMVb2WEh9wpLd8rVa/iAsmjOe5IcOV+9d6E4VwO2f3cC\n"
        "6iKD58WQ0TOslAeoxlHNC4LBW9Savm8tZ6t7htneuwBwh//uiySDPO5UwG38Hm1p\n"
        "bAj21exdP1AjH7FnA4mKbJqvMmxRF8P2qxGqIjY5UjXuw24Cwty0FXRsvswm9r5N\n"
        "GQ==\n"
        "-----END PRIVATE KEY-----\n",
        "ecdsa-sha2-nistp521 "
        "AAAAE2VjZHNhLXNoYTItbmlzdHA1MjEAAAAIbmlzdHA1MjEAAACFBAACqMVb2WEh9wpLd8rVa/"
        "iAsmjOe5IcOV+9d6E4VwO2f3cC6iKD58WQ0TOslAeoxlHNC4LBW9Savm8tZ6t7htneuwBwh//"
        "uiySDPO5UwG38Hm1pbAj21exdP1AjH7FnA4mKbJqvMmxRF8P2qxGqIjY5UjXuw24Cwty0FXRsvswm9r5"
        "NGQ== comment of ecdsa-pkcs8",
        "SHA256:AXH5m/j9Q1nT/U/L5P8iTgTwim8ixvE1/DvGOsQ9Gd8",
        "MD5:30:cc:ca:3a:36:1e:ed:db:80:12:38:fe:63:75:42:0f",
        "+---[ECDSA 521]---+\n"
        "|      o.o.       |\n"
        "|       o.o       |\n"
        "|        ..o     o|\n"
        "|       o oo.   .+|\n"
        "|    . ..So *.. oo|\n"
        "|   . o o+o*.. E.o|\n"
        "|    + o.oo.o..+.o|\n"
        "|   . . o. =oo o+.|\n"
        "|        .+.o.o.o=|\n"
        "+----[SHA256]-----+",
    },
};

struct signed_fixture {
    const char *name, *alg, *public_blob, *signature;
};

static const struct signed_fixture signed_fixtures[] = {
    {
        "rsa-512",
        "rsa-sha2-512",
        "000000077373682d727361000000030100010000010100d54735f8a5af0ffdd3e2c607ae"
        "62c2b884bce88c6a445286d712b0d8c2d7f42b6dcee70c2c13de3ca5e73b8816f3478ea1"
        "69c706ff24717e4854fd722676f4f522db5431a72b1dad858892b65603347a3cf10fd65d"
        "1047ee2f128c750feeeb987cfb12c539aa6e4c5958265c83a392e05103131eeee56bdd58"
        "59148460fe7bca2970343ad0580d0dd3ed6046b48ae9d28b2cc67035d9041954b8966958"
        "e8e00ab8890e500c0040e2cf7799132fbf19fdd239f1b2827f42b90b39db6d0fd259a47c"
        "3a371e4a78ae9a381257b3c3de93f15842b4f7beb0784a968972a299a98570d64ad59a8b"
        "187f89cc346e1ae5a878367c862c008f4a6c9facc560db992fbee3",
        "0000000c7273612d736861322d35313200000100050b084e754f8e702df058d6982666fe"
        "15d45f0c41fc0c5ee42e082239843f3f2ae0b18148e989a785ada52e60f0ead96a679892"
        "94d5c77e42cce445249ce12e3e580f1c18c628532e1f114ba01f003efa524a7e29477f32"
        "2a994e32585e8ce565801b6d58aa12e738a5b18477ba2185eb94142f0d2925f16bf8a672"
        "88c56118b7a6b48f414d90ea72e2a854a0f2be0da81060591939fd170d28173112501bb6"
        "c8d4e70152f198871f80c1c7d30b99f41f7afd99fd2509704d251dc77f8cc592e1406a71"
        "aa1f77bc109404df3bbb9ea7f359d98e6e437c46ba3613e18c853add9fe33d06a0eb7d90"
        "4be7fc75b92973cc12955cb111c60356bf51a80caf96cc95",
    },
    {
        "rsa-256",
        "rsa-sha2-256",
        "000000077373682d727361000000030100010000010100a99f450f9e7d740a5770ddd8b9"
        "585f9f937bfd452c1d71139e4516163246bc660987f516e647bf382faca604085b119cf5"
        "58a77bbb4110ba3f87524b4c399a2c203718bf232bfa3f27a4d4499acd0080b3fbcb4acf"
        "0053de4906179f6a5f18b2c7f896b578fdabf570bcf3580411b7f90390987b3e231521f9"
        "5926e8426b0d7852128a901b70dab13fbe0c1960d28610db868442689569ced4e2d6ab9c"
        "24274e03f137b0baa7c11131a90f58ac5d95e334447eec3111c216e0176a0b0fa5e4a5f1"
        "e49d392b36141df2269abab4a8645b9f61191363264a60b4d8ec6ecd6b178c4308f3a0ec"
        "1269d0d49cfb314516cacb9b2cfa65abadff3c2dc224aa54b18bc5",
        "0000000c7273612d736861322d32353600000100358f31231a4bfc73093e40dc52a5cb5f"
        "dcb7970817347485ee3c90e3fe52c24e4e7e54518bb1ef6978067851756431c11c74e658"
        "233b4e63ba4f083cf6fda10f40326c980708e94516ae5640e6f32d87acfb329147bd4f22"
        "68b451ba35590a35813ec27747459d78ff04f5f117fa7a9f3c95fa8a56d16d46c916895e"
        "80466b04bea983f84267d8b6234a6f5237af59bbcf9738e6c0ee0a9c5717cc6c44099b86"
        "e7a7b4a44419e5f97af4cab82387ed6d0acaee5aa29f6233384c074461c732a83696a898"
        "db44690143f65f68079b7f1c2f2cb4a6a93c085160f2d5fc9f71d9d2c1e4edb65dd7e475"
        "137f1f0ae26cc7f571663b828d9015c87472a520f1e3fde9",
    },
    {
        "ecdsa-256",
        "ecdsa-sha2-nistp256",
        "0000001365636473612d736861322d6e69737470323536000000086e6973747032353600"
        "00004104946b761e388c0dfebfad8b5980b16c0608314f8050a5cf8e14266b5856d16553"
        "eb1415da674ac8eea57b55ca8d622610e39f5165ff43aea9c515fadda6510d15",
        "0000001365636473612d736861322d6e697374703235360000004a000000210089d5c7b0"
        "6c96c073532fc1fd40be2d1c83ad6f79bc449337d69a8c08722b9cf20000002100c1cc0e"
        "9192d365f5487d0a58c6232262041627153151f2a660b50a4ff30f34b2",
    },
    {
        "ecdsa-384",
        "ecdsa-sha2-nistp384",
        "0000001365636473612d736861322d6e69737470333834000000086e6973747033383400"
        "00006104e451f80a655bb97c60da429db64b9d19e0e3445e3dbed2c49c1315b22b72f058"
        "d6041b2a13de649fde529c1cda2bb2e9fa13c13cf4af4afceb174e0c66882de0601fa6fe"
        "0e6a855ba37594cab3632e970634b1d9c44d0e6236b2a5f765f89b4d",
        "0000001365636473612d736861322d6e69737470333834000000690000003100d3c35ee1"
        "9384b9af8f00a8d600bfada15ca5920324bd426cd13129727d4441b26bcb8d2b98c99699"
        "5157d047c0cc643600000030184445833bb34d4c0fc77939d84e8b214abec4049142895c"
        "191ab67f1aac424c56a6a176e1d528d0e3d66dfdf42c61af",
    },
    {
        "ecdsa-521",
        "ecdsa-sha2-nistp521",
        "0000001365636473612d736861322d6e69737470353231000000086e6973747035323100"
        "0000850401cc0326667da1957d5863ab2b1314985ce224758389c83f6d7b8406bb9bbdbe"
        "5e724a00c64788e14f600700354310f808084c2bd624f64c981e2b48a0f7be6da50800a5"
        "9ae0fd6cc090bd70330bb95916713b8bd002023a95b9e8b664081dd58f4c30a102c49682"
        "c55b83b922bec7746e02a4d94aecda5e8914d843dd85a60640d46be6",
        "0000001365636473612d736861322d6e697374703532310000008c0000004200adec5e99"
        "05a9e9f87be1ebed676785275e34a4005c41648092f477f9c79cb56b949aac9bfd4c01c7"
        "a0c113dfebc7c18367afa9d48181c4b9c3fa215f1bfd8e98700000004200a58f6433e015"
        "fa935ff2001d546e97f3f67959a84e5750fca22c422a8ef99bc814b4edba8d2e2d3dcb2a"
        "5902dc3306dbba0c9f95b6db0e9530c1b9035a5926f4ac",
    },
};
