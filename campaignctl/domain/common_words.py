"""Words that passwords are made of most often: the heads of the leaked lists, names, and the product's own field.

Case folded, without the digits and signs that are put around them; ``passwords`` undoes 0 for o and the like.
"""

_WORDS = """
    password passwort passwords passwd passw0rd pass passcode passphrase mypassword motdepasse contrasena contraseña
    senha parola haslo heslo wachtwoord salasana losenord sifre parol mypass newpass userpass passme
    admin administrator administrador root superuser superadmin sysadmin webadmin user username guest login logon
    master supervisor operator manager owner public private default system service server database oracle postgres
    mysql sqlserver redis kafka clickhouse ubuntu debian linux windows microsoft cisco internet computer network
    changeme changeit changethis temporary temp temppass tempest secret secrets topsecret supersecret mysecret
    welcome welcomes welcome1 willkommen bienvenue bienvenido hello hellohello helloworld hallo hola bonjour salut
    letmein letmeout letmesee openme opensesame trustno trustnoone whatever nothing something anything everything
    test testing tester testtest demo example sample dummy foobar foo bar qwerty qwertz azerty dvorak keyboard
    qwertyui asdf asdfgh asdfghjk zxcvbn zxcvbnm qazwsx wsxedc qweqwe asdasd zxczxc qwe asd zxc abc abcabc abcd abcdef
    iloveyou iloveu ilovegod ilovejesus ilovehim iloveher loveyou loveme lovelove lovely lover lovers love loveforever
    iloveme ilovemyself teamo tequiero mylove mylife truelove babygirl babyboy baby honey honeys sweet sweety sweetie
    sweetheart darling princess princesa prince queen king kingdom angel angels angelo angelina heaven paradise
    sunshine moonlight starlight summer winter spring autumn january february march april june july august september
    october november december monday tuesday wednesday thursday friday saturday sunday weekend holiday christmas
    birthday happy happiness smile smiley friends friend bestfriend forever family mother father mommy daddy mama papa
    brother sister mummy girl girls boys boy woman women lady man men people
    monkey dragon tiger tigers lion lions panther panthers eagle eagles falcon falcons hawk hawks phoenix dolphin
    dolphins shark sharks bear bears wolf wolves wolverine fox foxy cat cats kitty kitten kittycat dog dogs doggy puppy
    horse horses pony bunny rabbit turtle butterfly butterflies spider scorpion snake viper cobra python mustang bronco
    broncos colts chicken turkey duck ducks penguin panda elephant buffalo bulldog bulldogs beagle rottweiler
    football soccer baseball basketball hockey tennis golf golfer rugby cricket volleyball softball bowling fishing
    hunting hunter running runner swimming swimmer boxing boxer skate skater skateboard snowboard surfing racing racer
    arsenal chelsea liverpool manchester united barcelona realmadrid juventus milan inter bayern dortmund celtic
    rangers everton tottenham lakers celtics knicks bulls yankees redsox mets cubs dodgers giants cowboys steelers
    packers patriots raiders redskins dallas chicago boston newyork london paris madrid berlin tokyo sydney melbourne
    toronto houston austin phoenix denver seattle detroit atlanta orlando florida california texas hawaii america
    american england ireland scotland canada australia germany france spain italy russia china india brasil brazil
    mexico colombia argentina chile peru portugal poland polska turkey turkiye nederland europe africa
    superman batman spiderman ironman wonderwoman superstar superboy supergirl hulk thor loki joker catwoman avengers
    captain starwars skywalker vader darthvader yoda jedi chewbacca startrek enterprise spock matrix neo trinity
    terminator rambo rocky gandalf frodo hobbit legolas aragorn hogwarts harrypotter hermione voldemort dumbledore
    pokemon pikachu charizard naruto sasuke goku vegeta dragonball sonic mario luigi zelda nintendo playstation xbox
    minecraft fortnite roblox callofduty warcraft starcraft diablo counterstrike counter strike halo quake doom
    final fantasy finalfantasy mickey mickeymouse minnie donald goofy pluto disney snoopy garfield scooby scoobydoo
    spongebob patrick simpson simpsons homer bart barney barbie winnie tinkerbell nemo shrek tweety bugsbunny
    michael michelle michelle1 jennifer jessica jordan joshua matthew daniel danielle david davids andrew andrea
    anthony antonio thomas robert roberto william williams richard charles charlie christopher christian christina
    christine chris joseph james john johnny johnson jonathan justin jason jasmine jacob jack jackson jackie jeremy
    nicholas nicole nicolas nathan nathalie natalie natasha patrick patricia paul paula peter philip phillip samantha
    samuel sam samson sandra sarah sara scott sean sebastian sharon shannon stephanie stephen steven steve susan sophie
    sophia taylor tyler teresa theresa tiffany tim timothy tina tommy tony travis trevor vanessa veronica victor
    victoria vincent vincenzo vivian walter wendy amanda alexander alexandra alexandre alexis alex alfred alice alicia
    alison allison amber amy ashley austin barbara benjamin ben bernard beth bethany betty beverly bill billy bobby
    bonnie brad bradley brandon brandy brenda brian brittany bruce bryan caitlin cameron carlos carl carla carmen
    carol carolina caroline carolyn cassandra cassie catherine cecilia chelsea cheryl cindy claire claudia connie
    courtney crystal curtis cynthia dakota dave deborah debbie denise dennis derek diana diane dominic donna dorothy
    douglas dylan edward eduardo edwin eileen elaine elena elizabeth ellen emily emma eric erica erik esther ethan
    eugene evelyn felix fernando fiona florence frances francis francisco frank frankie franklin fred freddy gabriel
    gabriela gabriella gary george gerald gilbert gloria gordon grace greg gregory hannah harold harry harvey heather
    hector helen helena henry howard hugo ian irene isaac isabel isabella ivan jackson jaime jamie janet jared javier
    jean jeffrey jenny jerry jesse jesus jim jimmy joanna joel jorge jose josephine juan juanita julia julian juliana
    julie juliet karen karina katherine kathleen kathryn katie katrina kelly kelsey ken kenneth kevin kimberly kristen
    kristin kristina kyle larry laura lauren laurence lawrence leo leonard leonardo leslie liam lillian linda lindsay
    lindsey lisa logan lorenzo louis louise lucas lucia luis lucy luke madison marcel marcia marco marcos marcus
    margaret maria mariana marie marilyn marina mario marisa mark marlboro marley marshall martha martin martina mary
    mathew maureen maurice max maxwell megan melanie melissa mercedes meredith mia miguel mike mildred miranda mitchell
    molly monica monique morgan muhammad mohammed ahmed ali fatima hassan ibrahim mustafa omar yusuf nancy naomi neil
    nelson nick nikita nikki noah norman olivia oliver oscar pamela pedro penelope phyllis rachel ralph ramon randy
    raymond rebecca regina renee ricardo ricky riley robin rodney roger roland ronald ronaldo messi neymar beckham
    rooney rosa rose rosemary roxanne ruby russell ruth ryan sabrina sally salvador sasha savannah scarlet sergio
    shane shawn sheila shelby sherry shirley sierra simon sonia spencer stacey stanley stella stuart sydney sylvia
    valentin valentina valerie vladimir wayne wesley whitney wilson winston xavier yolanda yvonne zachary
    ferrari porsche mercedes bmw audi toyota honda nissan ford chevrolet chevy camaro corvette jaguar harley davidson
    harleydavidson yamaha suzuki kawasaki ducati lamborghini bugatti maserati volkswagen volvo subaru mazda jeep tesla
    samsung nokia motorola sony apple iphone ipad android google gmail yahoo hotmail facebook instagram twitter tiktok
    linkedin youtube amazon netflix spotify snapchat whatsapp skype myspace adobe photoshop
    metallica nirvana slipknot megadeth greenday linkinpark blink eminem tupac rihanna beyonce shakira madonna elvis
    beatles acdc queen pinkfloyd ledzeppelin ironmaiden slayer pantera korn rammstein music guitar guitarist piano
    drummer drums singer dancer dancing rockstar rocknroll hiphop metal techno
    computer coffee chocolate cookie cookies banana bananas orange oranges apples cherry strawberry peaches pepper
    peanut butter cheese pizza burger hotdog chicken pancake candy sugar vanilla cinnamon ginger coconut pumpkin potato
    tomato whiskey vodka tequila heineken budweiser corona pepsi cocacola nutella
    purple yellow orange green blue red black white silver golden gold diamond diamonds crystal ruby pink rainbow
    flower flowers rose roses daisy lily jasmine tulip sunflower violet garden nature forest mountain river ocean beach
    island water fire thunder lightning storm hurricane tornado snow snowball snowflake winterfell icecream iceman
    star stars moon sun earth mars jupiter saturn venus mercury neptune galaxy universe planet cosmos apollo atlantis
    zeus athena hercules achilles poseidon merlin excalibur camelot arthur lancelot genesis genius einstein newton
    mozart beethoven shakespeare leonardo picasso
    freedom liberty justice victory champion champions winner winners success lucky lucky7 luckyone destiny fortune
    power powerful strength strong courage warrior warriors fighter soldier marine marines airforce army navy ranger
    sniper killer ninja samurai assassin hacker hackers pirate pirates bandit outlaw rebel rebels maverick cowboy
    cowgirl gangster gangsta mafia godfather scarface playboy player players hustler badboy badgirl fuckyou
    jesus christ jesuschrist god godisgood lord lordjesus church bible blessed blessing amen faith hope trust grace
    allah bismillah krishna buddha shiva ganesh jaishreeram sairam
    money cash dollar dollars million millionaire business bank banking creditcard payment market marketing sales
    advert advertising campaign campaigns campaignctl analytics agency agencies client customer account accounts
    company corporate office finance meta
    school student teacher college university graduate science history english spanish french german
    hospital doctor nurse medical police fireman firefighter lawyer pilot driver trucker mechanic engineer designer
    developer programmer
    access access14 security secure security1 safety control command unlock unlocked locked open close enter entry
    startup shutdown backup recovery firewall antivirus
    sunshine1 shadow shadows silver slayer ranger trouble mystery magic magical magician wizard witch vampire vampires
    zombie zombies ghost ghosts demon demons devil devils evil darkness dark lucifer satan dracula frankenstein
    monster monsters creature alien aliens predator xfiles mulder scully bond jamesbond casino poker blackjack jackpot
    buster bubba bubbles buddy cuddles peaches precious pumpkin princess1 ginger sparky rusty rocket misty muffin smokey
    tigger tinker toby trixie oreo oscar lucky daisy casper cooper bailey maggie maxine max sammy sadie shelby sophie
    chester charlie chance bandit baxter bella angel duke dakota hunter jasper jake kobe lady midnight molly missy
    mine mylove myself mydog mycat myfamily mybaby mommy1 nevermind never always forget forgot remember memory dream
    dreams dreamer believe imagine infinity eternity eternal legend legends hero heroes super supper mega ultra giga
    extreme premium classic vintage original special perfect beautiful gorgeous handsome pretty cute cutie cutiepie
    crazy stupid idiot loser funny silly lazy boring bored awesome amazing fantastic wonderful brilliant excellent great
    good better best number numberone first second third alpha beta gamma delta omega sigma zulu bravo echo foxtrot
    tango november oscar romeo juliet sierra victor whiskey yankee
    unbelievable blahblah blah haha hahaha lol lmao rofl asdfasdf qwertyqwerty dontknow idontknow nopassword noaccess
    thankyou thanks please goodluck goodbye goodnight goodmorning godbless merci danke gracias obrigado
    please1 computer1 internet1 football1 baseball1
    abcdefg abcdefgh qwertyuiop asdfghjkl poiuytrewq lkjhgfdsa mnbvcxz
"""

COMMON_WORDS = frozenset(_WORDS.split())
